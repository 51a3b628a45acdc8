package e2e

import "github.com/hopseal/hopseal/e2e/internal/outcome"

// ReasonOf names in one word what an error of this package stands for, such as "untrusted",
// "lost" or "expired": the word that [Options.Logger] and [ServerStats] have for it. There are
// few, and none holds anything that the other end has chosen. It is "failed" for every other error.
func ReasonOf(err error) string { return string(outcome.Of(err)) }
