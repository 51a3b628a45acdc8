//go:build !js

package main

import (
	"encoding/json"
	"testing"

	"github.com/hopseal/hopseal/internal/chromium"
)

// BenchmarkPackage times the package itself, JavaScript included, once a run:
//
//	go test ./wasm -run xxx -bench . -benchtime 1x
func BenchmarkPackage(b *testing.B) {
	b.Run("Node", func(b *testing.B) {
		buildPackage(b)
		cmd := node(b, "testdata/bench.mjs")
		report(b, func() (times map[string]float64) {
			if err := json.Unmarshal(run(b, cmd), &times); err != nil {
				b.Fatal(err)
			}
			return times
		})
	})
	b.Run("Chromium", func(b *testing.B) {
		p := open(chromium.New(b), serve(b, csp))
		report(b, func() map[string]float64 {
			return chromium.Eval[map[string]float64](p, `(async () => {
				const { milliseconds } = await start();
				const { measure } = await import("/bench.js");
				const times = await measure(hopseal, await import("/hopseal/core.js"));
				return { ...times, "init-ms": milliseconds };
			})()`)
		})
	})
}

func report(b *testing.B, measure func() map[string]float64) {
	b.Helper()
	for name, value := range measure() {
		b.ReportMetric(value, name)
	}
	b.ReportMetric(0, "ns/op") // a run does many things
}
