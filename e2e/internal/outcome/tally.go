package outcome

// A Tally counts outcomes, each under one of the names in its list.
type Tally map[Outcome]uint64

// Count counts o, or [Failed] if o is not in the list.
func (t Tally) Count(o Outcome, among []Outcome) {
	for _, one := range among {
		if one == o {
			t[o]++
			return
		}
	}
	t[Failed]++
}

// Figures returns the counts of all outcomes in the list.
func (t Tally) Figures(of []Outcome) map[string]uint64 {
	out := make(map[string]uint64, len(of))
	for _, o := range of {
		out[string(o)] = t[o]
	}
	return out
}
