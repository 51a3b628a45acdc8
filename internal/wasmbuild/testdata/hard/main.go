// Command hard needs all that a runtime reads of functions while a program runs. It ends with a line
// that says so, and the state 1 if something is wrong.
package main

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
)

func main() {
	debug.SetGCPercent(10)
	for name, check := range map[string]func() bool{
		"deep stacks":     func() bool { return sum(deep(20_000, new(int))) == 20_000 },
		"garbage":         garbage,
		"many goroutines": goroutines,
		"a panic":         func() bool { return recovered(func() { panic(errors.New("x")) }) == "x" },
		"an index":        func() bool { return strings.Contains(recovered(index), "index out of range [3] with length 3") },
		"a nil map":       func() bool { return strings.Contains(recovered(func() { map[int]int(nil)[1] = 1 }), "nil map") },
		"a nil pointer":   func() bool { return strings.Contains(recovered(func() { _ = *(*int)(nil) }), "nil pointer") },
		"a method of nil": func() bool { return strings.Contains(recovered(methodOfNil), "called using nil *") },
		"a panic when running": func() bool {
			return recovered(func() { defer func() { panic("second") }(); panic("first") }) == "second"
		},
		"deferred calls":  func() bool { return deferred() == 3 },
		"a method value":  methodValue,
		"a made function": madeFunction,
		"a cleanup":       cleanup,
		"a traceback":     func() bool { return len(debug.Stack()) > 0 && runtime.NumGoroutine() < 5 },
		"an iterator":     iterator,
	} {
		if !check() {
			fmt.Println(name, "does not work")
			os.Exit(1)
		}
	}
	fmt.Println("everything works")
}

// deep grows the stack, with pointers into it, and collects garbage at its end.
func deep(n int, up *int) []int {
	here := *up
	if n == 0 {
		runtime.GC()
		return nil
	}
	here = 1
	below := deep(n-1, &here)
	return append(below, here)
}

func sum(numbers []int) (total int) {
	for _, n := range numbers {
		total += n
	}
	return total
}

func garbage() bool {
	kept := make([]*[]byte, 0)
	for i := range 20_000 {
		b := make([]byte, 1000)
		b[0] = byte(i)
		if i%1000 == 0 {
			kept = append(kept, &b)
		}
	}
	for i, b := range kept {
		if (*b)[0] != byte(i*1000) {
			return false
		}
	}
	return true
}

func goroutines() bool {
	var mu sync.Mutex
	var done sync.WaitGroup
	total := 0
	for i := range 200 {
		done.Go(func() {
			local := []int{i}
			runtime.Gosched()
			numbers := deep(i, &local[0])
			mu.Lock()
			defer mu.Unlock()
			total += len(numbers)
		})
	}
	done.Wait()
	return total == 199*100
}

func recovered(f func()) (text string) {
	defer func() { text = fmt.Sprint(recover()) }()
	f()
	return ""
}

func index() {
	numbers := make([]int, 3)
	for i := range 8 {
		numbers[i]++
	}
}

type value struct{ n int }

func (v value) Number() int { return v.n }

var numbered interface{ Number() int }

func methodOfNil() {
	numbered = (*value)(nil)
	numbered.Number()
}

func deferred() (n int) {
	for range 2 {
		defer func() { n++ }()
	}
	if n == 0 {
		defer func() { n++ }()
	}
	return 0
}

// methodValue and madeFunction collect garbage below functions that reflect has made: the collector
// knows them by their names.
func methodValue() bool {
	f := reflect.ValueOf(&holder{of: &value{5}}).MethodByName("Collect").Interface().(func(*value) *value)
	return f(&value{6}).n == 11
}

type holder struct{ of *value }

func (h *holder) Collect(more *value) *value {
	runtime.GC()
	deep(1000, new(int))
	return &value{h.of.n + more.n}
}

func madeFunction() bool {
	f := reflect.MakeFunc(reflect.TypeFor[func(*value) *value](), func(in []reflect.Value) []reflect.Value {
		deep(1000, new(int))
		return []reflect.Value{reflect.ValueOf(&value{in[0].Interface().(*value).n + 1})}
	}).Interface().(func(*value) *value)
	return f(&value{6}).n == 7
}

func cleanup() bool {
	called := make(chan int, 1)
	func() {
		runtime.AddCleanup(&holder{}, func(n int) { called <- n }, 3)
	}()
	for range 100 {
		runtime.GC()
		runtime.Gosched()
		select {
		case n := <-called:
			return n == 3
		default:
		}
	}
	return false
}

func iterator() bool {
	total := 0
	for n := range func(yield func(int) bool) {
		for i := range 10 {
			if !yield(i) {
				return
			}
		}
	} {
		if n == 5 {
			break
		}
		total += n
	}
	return total == 10
}
