//go:build !js

package servertls

import (
	"testing"

	"github.com/hopseal/hopseal/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }
