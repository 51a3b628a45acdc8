// Command build makes core.wasm and runtime.js of the npm package and says how
// large they are and what they hash to.
//
//	go run ./wasm/build [-o dir]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/hopseal/hopseal/internal/wasmbuild"
)

func main() {
	dir := flag.String("o", "", "where to put the package (default: wasm/npm)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string) error {
	report, err := wasmbuild.Build(ctx, dir)
	if err != nil {
		return err
	}
	path := filepath.Join(report.Dir, wasmbuild.CoreFile)
	sizes, err := wasmbuild.Measure(path)
	if err != nil {
		return err
	}
	state := "up to date"
	if report.Built {
		state = "built"
	}
	fmt.Printf("%s: %s\n", path, state)
	fmt.Printf("  %v\n", sizes)
	fmt.Printf("  sha256   %s\n  build id %s\n", report.SHA256, report.BuildID)
	return nil
}
