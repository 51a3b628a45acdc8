package lobby

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
)

// However many there are of each stage, all stages come on.
func TestEveryStageGetsTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const each = 100
		d := &scheduler{}
		var order []Stage
		for at := range stages {
			for range each {
				go d.do(context.Background(), at, func() { order = append(order, at) })
			}
		}
		synctest.Wait()
		d.leave(0) // the turn that everybody has waited for
		synctest.Wait()
		for at := range stages {
			if first := slices.Index(order, at); first > reservedTurn*int(stages) {
				t.Errorf("stage %d had its first turn after %d others", at, first)
			}
		}
		if last := order[:each]; len(order) != each*int(stages) || count(last, StageLast) < each/2 {
			t.Errorf("of %d turns the first %d were %v", len(order), each, last)
		}
	})
}

func count(in []Stage, what Stage) (n int) {
	for _, at := range in {
		if at == what {
			n++
		}
	}
	return n
}
