// Package empty has a test that is skipped.
package empty

import "testing"

func TestSkips(t *testing.T) { t.Skip("nothing to do") }
