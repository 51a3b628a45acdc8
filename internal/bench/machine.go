package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A machine is what figures are of. Whether its processor has instructions for SHA-256
// decides how long all digests take.
type machine struct {
	Go, OS, Arch    string
	CPUs            int
	Processor       string
	SHAInstructions string  // "yes", "no", or "unknown" where the system does not tell
	SHA256          float64 // MB/s of SHA-256, over 1 MiB
}

func thisMachine() machine {
	m := machine{Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), SHA256: shaRate()}
	info, _ := os.ReadFile("/proc/cpuinfo") // Linux has it
	m.Processor, m.SHAInstructions = processor(string(info))
	return m
}

func (m machine) String() string {
	return fmt.Sprintf("%s %s/%s, %d CPUs: %s, SHA instructions: %s, SHA-256 at %.0f MB/s",
		m.Go, m.OS, m.Arch, m.CPUs, m.Processor, m.SHAInstructions, m.SHA256)
}

// processor reads the name and the flags of the first processor in /proc/cpuinfo.
func processor(info string) (name, sha string) {
	name, sha = "unknown processor", "unknown"
	for line := range strings.Lines(info) {
		key, value, _ := strings.Cut(line, ":")
		switch value = strings.TrimSpace(value); strings.TrimSpace(key) {
		case "": // the end of the first one
			return name, sha
		case "model name", "CPU part": // x86, ARM
			name = value
		case "flags", "Features":
			sha = "no"
			if flags := strings.Fields(value); slices.Contains(flags, "sha_ni") || slices.Contains(flags, "sha2") {
				sha = "yes"
			}
		}
	}
	return name, sha
}

// shaRate is the best of several: what else the machine does only makes it slower.
func shaRate() float64 {
	data := message(1 << 20)
	best := time.Duration(1<<63 - 1)
	for range 20 {
		start := time.Now()
		sha256.Sum256(data)
		best = min(best, max(time.Since(start), 1))
	}
	return float64(len(data)) / 1e6 / best.Seconds()
}
