package ring

import "fmt"

// Stage is keys.Stage: where a key is in its life.
type Stage byte

const (
	Pending Stage = iota + 1
	Primary
	Retiring
	Archived
)

func (s Stage) String() string {
	switch s {
	case Pending:
		return "pending"
	case Primary:
		return "primary"
	case Retiring:
		return "retiring"
	case Archived:
		return "archived"
	}
	return fmt.Sprintf("Stage(%d)", s)
}

// A Life says when each stage of a key began, in Unix seconds; 0 means not yet.
type Life struct {
	ID                                   uint32 // Tink's
	Created, Promoted, Retired, Archived uint64
}

// Stage returns where the key is in its life.
func (l Life) Stage() Stage {
	switch {
	case l.Promoted == 0:
		return Pending
	case l.Retired == 0:
		return Primary
	case l.Archived == 0:
		return Retiring
	}
	return Archived
}
