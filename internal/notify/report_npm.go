//go:build hopseal_npm

package notify

// report writes a line to the console of the page.
func report(text string) { println(text) }
