// Command house measures how the code is built: for each package how many names it
// exports, the constants of its own types apart, how many of its files hang together in one knot, and which files are long;
// how many methods a session has; and which imports run upwards. Run it in the root of
// the repository:
//
//	go run ./internal/repo/house
package main

import (
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
)

func main() {
	h, err := Measure(".")
	if err != nil {
		fmt.Fprintln(os.Stderr, "house:", err)
		os.Exit(1)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "package\tfiles\tlines\texported\tenumerated\tknot\tlong files")
	for _, r := range h.Rooms {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%s\n", r.Path, r.Files, r.Lines, r.Exported, r.Enumerated, len(r.Knot), strings.Join(r.Long, " "))
	}
	w.Flush()
	fmt.Printf("\nmethods of e2e.Session: %d, %d of them exported\n", h.Methods, h.ExportedMethods)
	fmt.Printf("imports that run upwards: %d\n", len(h.Upwards))
	for _, up := range h.Upwards {
		fmt.Println(" ", up)
	}
}
