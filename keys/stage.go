package keys

import "github.com/hopseal/hopseal/keys/internal/ring"

// Stage is where a key is in its life. The stages are Tink's: made, distributed, promoted, retired,
// archived, destroyed.
type Stage byte

const (
	StagePending  = Stage(ring.Pending)  // made, and told to peers; seals and signs nothing yet
	StagePrimary  = Stage(ring.Primary)  // seals and signs
	StageRetiring = Stage(ring.Retiring) // was primary; still accepted in transit
	StageArchived = Stage(ring.Archived) // disabled: opens stored messages through an archive opener only
)

func (s Stage) String() string { return ring.Stage(s).String() }
