// Command typecheck checks that the packages of a module, and their tests, are correct Go
// on other platforms. It reads all of their sources and compiles nothing, so it takes
// seconds where go vet takes minutes:
//
//	go -C internal/tools run ./typecheck -C ../.. windows/amd64 darwin/arm64
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"golang.org/x/tools/go/packages"
)

const mode = packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports |
	packages.NeedDeps | packages.NeedTypes | packages.NeedTypesSizes | packages.NeedSyntax | packages.NeedModule

func main() {
	folder := flag.String("C", ".", "the `folder` of the module")
	flag.Parse()
	faults := 0
	for _, platform := range flag.Args() {
		goos, goarch, ok := strings.Cut(platform, "/")
		if !ok {
			fmt.Fprintf(os.Stderr, "typecheck: %q is no platform: write it as GOOS/GOARCH\n", platform)
			os.Exit(2)
		}
		n, err := check(*folder, goos, goarch)
		if err != nil {
			fmt.Fprintln(os.Stderr, "typecheck:", platform+":", err)
			os.Exit(1)
		}
		faults += n
	}
	if faults > 0 {
		os.Exit(1)
	}
}

// check prints what is wrong on a platform, and returns how much that is.
func check(folder, goos, goarch string) (faults int, err error) {
	all, err := packages.Load(&packages.Config{
		Mode:  mode,
		Dir:   folder,
		Tests: true,
		Env:   append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0"),
	}, "./...")
	if err != nil {
		return 0, err
	}
	for _, p := range all {
		for _, e := range p.Errors {
			fmt.Fprintf(os.Stderr, "%s/%s: %v\n", goos, goarch, e)
			faults++
		}
	}
	fmt.Printf("%s/%s: %d packages\n", goos, goarch, len(all))
	if len(all) == 0 {
		return 0, fmt.Errorf("there are no packages in %s", folder)
	}
	return faults, nil
}
