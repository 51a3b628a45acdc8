package envelope

import "fmt"

// What holds content while it is sealed or opened prints as its name only,
// whatever the verb (A42), and as a value too. It has no exported fields that an
// encoder could write.

// Format prints the type's name, never content.
func (w Writer) Format(s fmt.State, _ rune) { fmt.Fprint(s, "envelope.Writer[redacted]") }

// Format prints the type's name, never content.
func (r UnverifiedReader) Format(s fmt.State, _ rune) {
	fmt.Fprint(s, "envelope.UnverifiedReader[redacted]")
}

// Format prints the type's name, never content.
func (r *ReaderAt) Format(s fmt.State, _ rune) { fmt.Fprint(s, "envelope.ReaderAt[redacted]") }
