package transport_test

import (
	"testing"

	"github.com/hopseal/hopseal/internal/leak"
)

func TestMain(m *testing.M) {
	leak.Main(m) // Go's own, in a browser
}
