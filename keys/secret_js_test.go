package keys

// There are no stores in the browser, and so no passphrases.
func secretForTest() any { return nil }
