// Command bench measures what Hopseal adds to the primitives that it is made of.
// What is compared runs in turns, so that a busy machine slows both alike; the
// figures are medians. See docs/benchmarks.md.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"text/tabwriter"
)

func main() {
	asJSON := flag.Bool("json", false, "print JSON")
	flag.Parse()
	rows, err := keyRows(full)
	if err == nil {
		err = print(os.Stdout, rows, *asJSON)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func print(w io.Writer, rows []row, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(struct {
			Go, OS, Arch string
			CPUs         int
			Rows         []row
		}{runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), rows})
	}
	fmt.Fprintf(w, "%s %s/%s, %d CPUs\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "what\ttime\tcompared with\ttime\tratio\tdifference\tallocations\tgoal\t")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%.3g\t%s\t%g\t%s\t%s\n",
			r.What, nanos(r.Time), r.Against, nanos(r.AgainstTime), r.Ratio, nanos(r.Difference), r.Allocations, r.Goal, r.verdict())
	}
	return t.Flush()
}

func nanos(ns float64) string {
	switch {
	case ns >= 1e6 || ns <= -1e6:
		return fmt.Sprintf("%.1f ms", ns/1e6)
	case ns >= 1e3 || ns <= -1e3:
		return fmt.Sprintf("%.1f µs", ns/1e3)
	}
	return fmt.Sprintf("%.1f ns", ns)
}
