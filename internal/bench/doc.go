// Command bench measures what a control costs beside the floor and a peer, all
// in one run, and writes the tables of docs/performance.md.
//
//	GOWORK=off go run -C internal/bench . -list
//	GOWORK=off go run -C internal/bench . -group aead -time 1s
//	GOWORK=off go run -C internal/bench . -write ../../docs/performance.md
//
// A [Group] is one question, such as what sealing a field costs. It has cases,
// such as sizes; and each [Case] has rows: the floor, which is the least
// anything could cost, written by hand on the standard library; peers, which
// are what a program would use otherwise; and ours.
//
// The rows of a case run in turn, for several rounds. What is shown is the
// median over the rounds; the ratio is the median of the ratios to the floor
// within one round, so a machine that slows down in the middle slows both.
//
// To add a group, write a function that returns it, in a file of its own, and
// name it in groups.
package main
