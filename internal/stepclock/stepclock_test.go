//go:build !js

package stepclock

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The wall clock is set, and what has passed is what has passed.
func TestNow(t *testing.T) {
	defer Set(0)
	passes := func(t *testing.T) {
		for _, by := range []time.Duration{time.Hour, -time.Hour, 8760 * time.Hour, -8760 * time.Hour} {
			Set(0)
			before := Now()
			time.Sleep(time.Millisecond)
			Set(by)
			after := Now()
			if passed := after.Sub(before); passed < time.Millisecond || passed > time.Minute {
				t.Errorf("set by %v: %v has passed", by, passed)
			}
			if shown := after.Round(0).Sub(before.Round(0)); (shown - by).Abs() > time.Minute {
				t.Errorf("set by %v: the clock shows %v more", by, shown)
			}
			if left := time.Until(before.Add(time.Hour)); (left - time.Hour).Abs() > time.Minute {
				t.Errorf("set by %v: %v is left of an hour", by, left)
			}
		}
	}
	passes(t)
	synctest.Test(t, passes)
}

func TestRewrite(t *testing.T) {
	got, err := Rewrite([]byte("package p // x\n\nimport \"time\"\n\nvar f = time.Now\nvar d = time.Since(f())\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := "package p;import stepclock \"" + Import + "\" // x\n\nimport \"time\"\n\nvar f = stepclock.Now\nvar d = stepclock.Since(f())\n\nvar _ time.Duration\n"
	if string(got) != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if got, err := Rewrite([]byte("package p\n\nimport \"time\"\n\nvar x = time.Second\n")); got != nil || err != nil {
		t.Errorf("a file without a clock: %s, %v", got, err)
	}
	if strings.Count(want, "\n") < 6 {
		t.Error("lines are lost")
	}
}
