//go:build !js

package main

import (
	"os"
	"os/exec"
	"testing"
)

// TestTheDeclarationsCompile compiles programs against the declarations of the package, as those who
// use it do, with the newest TypeScript and an old one.
func TestTheDeclarationsCompile(t *testing.T) {
	if _, err := os.Stat("types/node_modules/typescript-old"); err != nil {
		if os.Getenv("HOPSEAL_BROWSER_TESTS") != "require" {
			t.Skip("no compilers: run npm ci --ignore-scripts in wasm/types")
		}
		install := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
		install.Dir = "types"
		if out, err := install.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	cmd := node(t, "check.mjs")
	cmd.Dir = "types"
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v", err)
	}
	t.Logf("%s", out)
}
