// Package frameworks tests that Hopseal's handlers work behind the writers that web
// frameworks and their middleware hand over, or are refused there at once with a
// sentence that says what to do. It is a module of its own, so that these stay out of
// the SDK's dependencies.
package frameworks
