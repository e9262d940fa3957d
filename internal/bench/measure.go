package main

import (
	"fmt"
	"slices"
	"testing"
)

// A sample is one run of one row.
type sample struct {
	nanoseconds float64 // for one operation
	bytes       int64   // allocated by one
	allocs      int64
	size        int64 // bytes worked on, if the row said so
}

// A result is what is known of a row after all rounds.
type result struct {
	Row
	Case        string
	Nanoseconds float64 // median
	Ratio       float64 // median over the rounds, to the floor of the same round
	Spread      float64 // (slowest - fastest) / median
	Bytes       int64
	Allocs      int64
	PerSecond   float64 // mebibytes; 0 if the row has no size
}

// measure runs each case's rows in turn, for some rounds.
func measure(g Group, rounds int, bench func(func(*testing.B)) (sample, error), progress func(string)) ([]result, error) {
	if err := g.validate(); err != nil {
		return nil, err
	}
	var results []result
	for _, c := range g.Cases {
		samples := make([][]sample, len(c.Rows)) // by row, then round
		for round := range rounds {
			progress(fmt.Sprintf("%s, %s: round %d of %d", g.Name, c.Name, round+1, rounds))
			for i, row := range c.Rows {
				s, err := bench(row.Bench)
				if err != nil {
					return nil, fmt.Errorf("group %q, case %q, row %q: %w", g.Name, c.Name, row.Name, err)
				}
				samples[i] = append(samples[i], s)
			}
		}
		for i, row := range c.Rows {
			results = append(results, summarise(c.Name, row, samples[i], samples[0]))
		}
	}
	return results, nil
}

// benchmark runs one row for the time that the flag test.benchtime says.
func benchmark(f func(*testing.B)) (sample, error) {
	r := testing.Benchmark(f)
	if r.N == 0 {
		return sample{}, fmt.Errorf("it called b.Fatal or b.Skip")
	}
	return sample{
		nanoseconds: float64(r.T.Nanoseconds()) / float64(r.N),
		bytes:       r.AllocedBytesPerOp(),
		allocs:      r.AllocsPerOp(),
		size:        r.Bytes,
	}, nil
}

func summarise(name string, row Row, samples, floor []sample) result {
	times := make([]float64, len(samples))
	ratios := make([]float64, len(samples))
	for i, s := range samples {
		times[i] = s.nanoseconds
		ratios[i] = s.nanoseconds / floor[i].nanoseconds
	}
	r := result{
		Row: row, Case: name,
		Nanoseconds: median(times),
		Ratio:       median(ratios),
		Bytes:       samples[0].bytes,
		Allocs:      samples[0].allocs,
	}
	r.Spread = (slices.Max(times) - slices.Min(times)) / r.Nanoseconds
	if size := samples[0].size; size > 0 {
		r.PerSecond = float64(size) / r.Nanoseconds * 1e9 / (1 << 20)
	}
	return r
}

// median of an even number of values is the mean of the two in the middle.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
