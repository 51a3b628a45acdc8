// Command bench measures what Hopseal adds to the primitives that it is made of,
// and how that compares with its peers. What is compared runs in turns, so that a
// busy machine slows both alike; the figures are medians. See docs/benchmarks.md.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"text/tabwriter"
	"time"
)

// effort is how long to measure.
type effort struct {
	stores, statements, batches, calls int // of the keys

	// Of all else: batches of about this length, in at least so many rounds, which
	// together take this long on each side.
	batch time.Duration
	least int
	span  time.Duration

	stream int64 // bytes of the long stream
	idle   int   // connections that wait
}

var full = effort{stores: 25, statements: 4000, batches: 101, calls: 20_000,
	batch: 500 * time.Microsecond, least: 151, span: time.Second, stream: 4 << 30, idle: 500}

// A group is rows that are measured together.
type group struct {
	name string
	rows func(effort) ([]row, error)
}

var groups = []group{
	{"noise", noiseRows},
	{"keys", keyRows},
	{"envelope/body", bodyRows},
	{"envelope/shared", sharedRows},
	{"envelope/signed", signedRows},
	{"envelope/recipients", recipientRows},
	{"envelope/streams", streamRows},
	{"transport/echo", echoRows},
	{"transport/idle", idleRows},
	{"session/handshake", sessionHandshakeRows},
	{"session/resume", sessionResumeRows},
	{"session/record", sessionRecordRows},
	{"session/echo", sessionEchoRows},
	{"session/pipeline", sessionPipelineRows},
	{"session/idle", sessionIdleRows},
	{"session/netconn", netConnRows},
}

func main() {
	var names []string
	for _, g := range groups {
		names = append(names, g.name)
	}
	run := flag.String("run", "", fmt.Sprintf("measure only the groups whose names match this regular `expression`; all are %q", names))
	asJSON := flag.Bool("json", false, "print JSON")
	flag.Parse()
	slog.SetLogLoggerLevel(slog.LevelError) // every link here is one without TLS, on purpose
	rows, err := measure(*run, full)
	if err == nil {
		err = print(os.Stdout, rows, *asJSON)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func measure(expression string, e effort) ([]row, error) {
	wanted, err := regexp.Compile(expression)
	if err != nil {
		return nil, err
	}
	var all []row
	for _, g := range groups {
		if !wanted.MatchString(g.name) {
			continue
		}
		rows, err := g.rows(e)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", g.name, err)
		}
		for _, r := range rows {
			r.Group = g.name
			all = append(all, r)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no group matches %q", expression)
	}
	return all, nil
}

func print(w io.Writer, rows []row, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(struct {
			machine
			Rows []row
		}{thisMachine(), rows})
	}
	fmt.Fprintln(w, thisMachine())
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	var group string
	for _, r := range rows {
		if r.Group != group {
			group = r.Group
			fmt.Fprintf(t, "\n%s\ttime\tallocates\tcompared with\ttime\tallocates\tratio\t95 %%\tdifference\tgoal\t\n", group)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%.3g\t%.3g-%.3g\t%s\t%s\t%s\n",
			r.What, nanos(r.Time), allocated(r.Allocations, r.Bytes), r.Against, nanos(r.AgainstTime), allocated(r.AgainstAllocations, r.AgainstBytes),
			r.Ratio, r.RatioLow, r.RatioHigh, nanos(r.Difference), r.Goal, r.verdict())
	}
	return t.Flush()
}

func allocated(times, bytes float64) string {
	switch {
	case times == 0 && bytes < 1e3:
		return "0"
	case times == 0: // memory that was counted, not allocations
		return fmt.Sprintf("%.1f KB", bytes/1e3)
	}
	return fmt.Sprintf("%g, %.1f KB", times, bytes/1e3)
}

func nanos(ns float64) string {
	switch {
	case ns >= 1e9 || ns <= -1e9:
		return fmt.Sprintf("%.1f s", ns/1e9)
	case ns >= 1e6 || ns <= -1e6:
		return fmt.Sprintf("%.1f ms", ns/1e6)
	case ns >= 1e3 || ns <= -1e3:
		return fmt.Sprintf("%.1f µs", ns/1e3)
	}
	return fmt.Sprintf("%.1f ns", ns)
}
