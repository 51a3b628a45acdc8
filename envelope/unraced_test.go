//go:build !race

package envelope

import "testing"

func unraced(*testing.T) {}
