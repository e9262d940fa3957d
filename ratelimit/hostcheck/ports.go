package hostcheck

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/surety-go/surety/controls"
)

// usual are the ports that are open by mistake most often: remote access,
// databases, caches, queues, orchestrators and debugging.
var usual = []uint16{
	21, 22, 23, 25, 53, 80, 111, 135, 139, 389, 443, 445, 873, 1433, 1521, 2049, 2181, 2375, 2376, 2379, 2380,
	3000, 3306, 3389, 4369, 5000, 5432, 5601, 5672, 5900, 5984, 6060, 6379, 6443, 7000, 7199, 8000, 8009, 8080, 8081,
	8086, 8443, 8500, 8888, 9000, 9042, 9090, 9092, 9200, 9300, 9418, 10250, 11211, 15672, 27017, 50000,
}

// PortOptions are the options of [NewPorts].
type PortOptions struct {
	// Also are ports to try besides those that are to be open and some 50
	// that are open by mistake most often.
	Also []uint16
	// Timeout is how long a port may take to answer, 100 ms to 30 s; 0 is 3 s.
	// A packet filter that drops makes each closed port take as long.
	Timeout time.Duration
	// Parallel is how many ports are tried at once, 1 to 256; 0 is 16.
	Parallel int
	// Dial connects; nil is net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Ports looks which TCP ports of a host answer.
type Ports struct {
	host string
	open []uint16
	try  []uint16
	o    PortOptions
}

// NewPorts makes the look. open are the ports that are to answer; every other
// one that does is a failure. Run it where the service's callers are, not
// beside the service.
func NewPorts(host string, open []uint16, o PortOptions) (*Ports, error) {
	if o.Timeout == 0 {
		o.Timeout = 3 * time.Second
	}
	if o.Parallel == 0 {
		o.Parallel = 16
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	try := slices.Concat(open, o.Also, usual)
	slices.Sort(try)
	try = slices.Compact(try)
	switch {
	case host == "":
		return nil, errors.New("hostcheck: NewPorts: host is empty")
	case len(open) == 0:
		return nil, errors.New("hostcheck: NewPorts: open is empty: a host on which nothing answers can't be told from one that is not there")
	case try[0] == 0:
		return nil, errors.New("hostcheck: NewPorts: port 0 is none")
	case o.Timeout < 100*time.Millisecond || o.Timeout > 30*time.Second:
		return nil, fmt.Errorf("hostcheck: PortOptions.Timeout is %v, want 100ms to 30s", o.Timeout)
	case o.Parallel < 1 || o.Parallel > 256:
		return nil, fmt.Errorf("hostcheck: PortOptions.Parallel is %d, want 1 to 256", o.Parallel)
	}
	return &Ports{host: host, open: slices.Clone(open), try: try, o: o}, nil
}

// Look tries all ports and returns those that answer, in order.
func (p *Ports) Look(ctx context.Context) ([]uint16, error) {
	var mu sync.Mutex
	var open []uint16
	var wg sync.WaitGroup
	slots := make(chan struct{}, p.o.Parallel)
	for _, port := range p.try {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if p.answers(ctx, port) {
				mu.Lock()
				open = append(open, port)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("hostcheck: %w", context.Cause(ctx))
	}
	slices.Sort(open)
	return open, nil
}

func (p *Ports) answers(ctx context.Context, port uint16) bool {
	ctx, cancel := context.WithTimeout(ctx, p.o.Timeout)
	defer cancel()
	conn, err := p.o.Dial(ctx, "tcp", net.JoinHostPort(p.host, strconv.Itoa(int(port))))
	if err != nil {
		return false
	}
	_ = conn.Close() // nothing was said
	return true
}

// Controls describes the look, which is its probe.
func (p *Ports) Controls() []controls.Control {
	return []controls.Control{{
		ID: "ratelimit.hostcheck.ports", Instance: p.host,
		Parameters: []controls.Parameter{
			controls.Text("open", numbers(p.open)), controls.Int("tried", len(p.try)), controls.Duration("timeout", p.o.Timeout),
		},
		Probe: p.probe,
	}}
}

func (p *Ports) probe(ctx context.Context) controls.Result {
	open, err := p.Look(ctx)
	if err != nil {
		return controls.Errored("the ports could not be tried: %v", err)
	}
	var silent, surplus []uint16
	for _, port := range p.open {
		if !slices.Contains(open, port) {
			silent = append(silent, port)
		}
	}
	for _, port := range open {
		if !slices.Contains(p.open, port) {
			surplus = append(surplus, port)
		}
	}
	switch {
	case len(surplus) > 0:
		return controls.Failed("ports answer that are not to: %s", numbers(surplus))
	case len(silent) > 0:
		return controls.Errored("ports do not answer that are to: %s; what the others would do is not known", numbers(silent))
	default:
		return controls.Passed("of %d ports only %s answer", len(p.try), numbers(open))
	}
}

func numbers(ports []uint16) string {
	text := make([]string, len(ports))
	for i, p := range ports {
		text[i] = strconv.Itoa(int(p))
	}
	return strings.Join(text, " ")
}
