//go:build !js

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "wasm: this program runs in browsers; build it with: go run ./wasm/build")
	os.Exit(2)
}
