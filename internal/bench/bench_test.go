package main

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"strings"
	"testing"
	"time"
)

var short = effort{stores: 1, statements: 3, batches: 3, calls: 1000, batch: time.Microsecond, least: 2, span: time.Microsecond, stream: 4 << 20, idle: 5}

// The measurements run and are printed; how fast a busy machine is decides
// nothing here, but for what does not depend on it.
func TestRowsAreMeasured(t *testing.T) {
	rows, err := measure("", short)
	if err != nil {
		t.Fatal(err)
	}
	counted := make(map[string]int)
	for _, r := range rows {
		counted[r.Group]++
		if r.Time <= 0 || r.AgainstTime <= 0 || r.Ratio <= 0 || r.RatioLow > r.Ratio || r.RatioHigh < r.Ratio || r.What == "" || r.Against == "" {
			t.Errorf("not measured: %+v", r)
		}
		if r.Goal == "" != (r.verdict() == "") {
			t.Errorf("goal %q, but %q", r.Goal, r.verdict())
		}
		if r.What == "read the live shared primary" && r.Allocations != 0 {
			t.Errorf("reading the primary allocates %g times", r.Allocations)
		}
		if strings.HasPrefix(r.Goal, "bytes") && !r.Met {
			t.Errorf("%s allocates %g bytes, %s %g", r.What, r.Bytes, r.Against, r.AgainstBytes)
		}
		if r.Against == "AES-256-GCM" && r.AgainstAllocations != 0 {
			t.Errorf("bare AES-256-GCM allocates %g times", r.AgainstAllocations)
		}
		if strings.Contains(r.Against, "JWE") && r.AgainstAllocations < 10 {
			t.Errorf("%s allocates %g times only", r.Against, r.AgainstAllocations)
		}
	}
	for group, want := range map[string]int{"noise": 4, "keys": 4, "envelope/body": 6, "envelope/shared": 9, "envelope/signed": 10, "envelope/recipients": 4, "envelope/streams": 5, "transport/echo": 4, "transport/idle": 1,
		"session/handshake": 2, "session/resume": 1, "session/record": 2, "session/echo": 4, "session/pipeline": 4, "session/idle": 2, "session/netconn": 1} {
		if counted[group] != want {
			t.Errorf("%d rows of %s, want %d", counted[group], group, want)
		}
	}
	printed(t, rows)
}

func printed(t *testing.T, rows []row) {
	var text, asJSON bytes.Buffer
	if err := print(&text, rows, false); err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if !strings.Contains(text.String(), r.What) || !strings.Contains(text.String(), "\n"+r.Group+" ") {
			t.Errorf("the table does not have %q", r.What)
		}
	}
	var back struct{ Rows []row }
	if err := print(&asJSON, rows, true); err != nil || json.Unmarshal(asJSON.Bytes(), &back) != nil || len(back.Rows) != len(rows) {
		t.Errorf("the JSON is %q: %v", asJSON.String(), err)
	}
}

// A clock that moves in steps longer than a batch must not make a ratio of 0 or of
// infinity.
func TestCoarseClock(t *testing.T) {
	var calls int
	c := comparison{rounds: 20, calls: 2, clock: func() time.Duration { return time.Duration(calls/7) * time.Millisecond },
		a: func(int) { calls++ }, b: func(int) { calls++ }}
	r := c.run()
	if r.Time <= 0 || r.AgainstTime <= 0 || r.RatioLow <= 0 || math.IsInf(r.RatioHigh, 1) {
		t.Errorf("measured %+v", r)
	}
}

func TestRunChoosesGroups(t *testing.T) {
	rows, err := measure("/bo", short)
	if err != nil || len(rows) != 6 {
		t.Fatalf("%d rows: %v", len(rows), err)
	}
	for _, r := range rows {
		if r.Group != "envelope/body" {
			t.Errorf("%q was measured", r.Group)
		}
	}
	for _, expression := range []string{"nothing", "("} {
		if _, err := measure(expression, short); err == nil {
			t.Errorf("%q chooses something", expression)
		}
	}
}

// What does not do its work must not win.
func TestCompareWantsTheMessageBack(t *testing.T) {
	whole, err := newGCM()
	if err != nil {
		t.Fatal(err)
	}
	lazy := codec{"lazy", func([]byte) error { return nil }, func() ([]byte, error) { return nil, nil }}
	if _, err := compare(short, 64, lazy, whole, goal{}); err == nil || !strings.Contains(err.Error(), "lazy") {
		t.Errorf("ours opens nothing, and that is %v", err)
	}
	if _, err := compare(short, 64, whole, lazy, goal{}); err == nil {
		t.Error("theirs opens nothing, and that is fine")
	}
}

func TestStreamsWantTheContentBack(t *testing.T) {
	whole, err := bareSegments()
	if err != nil {
		t.Fatal(err)
	}
	lazy := whole
	lazy.read = func(io.Writer, []byte) error { return nil }
	if _, err := lazy.codec(message(1000)); err == nil {
		t.Error("it reads nothing, and that is fine")
	}
	if _, err := whole.codec(message(3*segmentSize + 1)); err != nil {
		t.Error(err)
	}
}

func TestGoals(t *testing.T) {
	for _, test := range []struct {
		goal  goal
		ratio float64
		met   bool
	}{{atMost(1.15), 1.15, true}, {atMost(1.15), 1.16, false}, {within(0.02), 0.97, false}, {within(0.02), 1.03, false}, {goal{}, 9, true}} {
		if r := (row{Ratio: test.ratio}).against(test.goal); r.Met != test.met || r.Goal != test.goal.text {
			t.Errorf("%q of %g is %v", r.Goal, test.ratio, r.Met)
		}
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

func TestConfidence(t *testing.T) {
	v := make([]float64, 100)
	for i := range v {
		v[i] = float64(100 - i) // 1 to 100
	}
	if low, high := confidence(v); low != 41 || high != 61 {
		t.Errorf("the median of 1 to 100 is within %g and %g", low, high)
	}
	if low, high := confidence([]float64{7}); low != 7 || high != 7 {
		t.Errorf("of one value it is within %g and %g", low, high)
	}
}
