package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// The measurements run and are printed; how fast a busy machine is decides
// nothing here, but for what does not depend on it.
func TestRowsAreMeasured(t *testing.T) {
	rows, err := keyRows(effort{stores: 1, statements: 3, batches: 3, calls: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 4 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, r := range rows {
		if r.Time <= 0 || r.AgainstTime <= 0 || r.Ratio <= 0 || r.Goal == "" {
			t.Errorf("not measured: %+v", r)
		}
	}
	if n := rows[3].Allocations; n != 0 {
		t.Errorf("reading the primary allocates %g times", n)
	}
	var text, asJSON bytes.Buffer
	if err := print(&text, rows, false); err != nil || !strings.Contains(text.String(), rows[0].What) {
		t.Errorf("the table is %q: %v", text.String(), err)
	}
	var back struct{ Rows []row }
	if err := print(&asJSON, rows, true); err != nil || json.Unmarshal(asJSON.Bytes(), &back) != nil || len(back.Rows) != 4 {
		t.Errorf("the JSON is %q: %v", asJSON.String(), err)
	}
}

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		in   []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(test.in); got != test.want {
			t.Errorf("median is %g, want %g", got, test.want)
		}
	}
}
