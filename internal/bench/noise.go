package main

import "fmt"

// noiseRows compare a thing with itself: what they differ from 1 by is what the
// other rows may be wrong by on this machine, at this time.
func noiseRows(e effort) ([]row, error) {
	var rows []row
	for _, make := range []func() (codec, error){newGCM, newSignedGCM} {
		c, err := make()
		if err != nil {
			return nil, err
		}
		itself := c
		itself.name = "itself"
		more, err := compare(e, 1<<10, c, itself, within(0.02))
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

func within(d float64) goal {
	return goal{fmt.Sprintf("ratio 1 ± %g", d), func(r row) bool { return r.Ratio >= 1-d && r.Ratio <= 1+d }}
}
