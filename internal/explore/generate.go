package explore

import (
	"fmt"
	"maps"
	"slices"
)

// A Generator draws values of a kind.
type Generator[V any] struct {
	draw   func(*T) V
	silent bool // what it is made of is in the log
}

// shown bounds a value in the log.
const shown = 100

// Draw draws a value. A failure says what it was.
func (g Generator[V]) Draw(t *T, name string) V {
	v := g.draw(t)
	if !g.silent {
		text := fmt.Sprintf("%#v", v)
		t.log = append(t.log, name+": "+text[:min(len(text), shown)])
	}
	return v
}

// IntRange draws a number between two, which may be drawn too. The least is the simplest.
func IntRange(least, most int) Generator[int] {
	return Generator[int]{draw: func(t *T) int { return least + int(t.draw(uint64(most-least))) }}
}

// Int64Range is IntRange for int64.
func Int64Range(least, most int64) Generator[int64] {
	return Generator[int64]{draw: func(t *T) int64 { return least + int64(t.draw(uint64(most-least))) }}
}

// Uint64 draws any number.
func Uint64() Generator[uint64] {
	return Generator[uint64]{draw: func(t *T) uint64 { return t.draw(1<<64 - 1) }}
}

// Bool draws false or true.
func Bool() Generator[bool] {
	return Generator[bool]{draw: func(t *T) bool { return t.draw(1) == 1 }}
}

// SampledFrom draws one of some values. The first is the simplest.
func SampledFrom[V any](values []V) Generator[V] {
	return Generator[V]{draw: func(t *T) V { return values[t.draw(uint64(len(values)-1))] }}
}

// SliceOf draws at most so many values.
func SliceOf[V any](most int, one func(*T) V) Generator[[]V] {
	return Generator[[]V]{draw: func(t *T) (values []V) {
		n := int(t.draw(uint64(most)))
		for len(values) < n && !t.stops() {
			values = append(values, one(t))
		}
		return values
	}, silent: true}
}

// stops reports whether a run that is repeated has come to its end. What was taken out of
// its numbers need not be counted then.
func (t *T) stops() bool { return t.rand == nil && len(t.drawn) >= len(t.given) }

// Actions of one Repeat, on average and at most, and how often one is looked for that is possible.
const usual, most, tries = 30, 300, 100

// Repeat calls actions in an order that is drawn, and the one without a name before the
// first and after each.
func (t *T) Repeat(actions map[string]func(*T)) {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(actions)), func(name string) bool { return name == "" })
	check := actions[""]
	if check == nil {
		check = func(*T) {}
	}
	check(t)
	for range most {
		if t.draw(usual) == 0 || !t.act(names, actions) {
			return
		}
		check(t)
	}
}

// act takes an action, and reports whether there is one that is possible.
func (t *T) act(names []string, actions map[string]func(*T)) bool {
	for range tries {
		name := names[t.draw(uint64(len(names)-1))]
		before := len(t.log)
		t.log = append(t.log, name)
		if t.possible(actions[name]) {
			return true
		}
		t.log = t.log[:before]
		if t.stops() {
			return false
		}
	}
	if t.rand != nil {
		t.Fatalf("no action is possible: all of %d skip", tries)
	}
	return false
}

// possible reports whether an action has been taken: some skip.
func (t *T) possible(action func(*T)) (ok bool) {
	defer func() {
		if !t.skips {
			return // and a panic goes on, with its stack
		}
		t.skips = false
		if p := recover(); p != (skipped{}) {
			panic(p) // it failed after it had skipped
		}
	}()
	action(t)
	return true
}
