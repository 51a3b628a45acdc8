package envelope

import "testing"

// There are no key files in a browser.
func keyFile(testing.TB) []byte                   { return nil }
func keyFileOpener(testing.TB) func([]byte) error { return nil }
