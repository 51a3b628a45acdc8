//go:build race

package relay_test

func init() { raceDetector = true }
