package e2e

import (
	"container/list"
	"time"
)

// A hush holds guests whose turn it is to speak, by how long they have been silent.
type hush struct {
	all list.List // of *guest; the one that has been silent longest first
	of  map[string]*list.List
}

// A quiet is the place of a guest in a hush.
type quiet struct {
	hush     *hush // nil where the guest is in none
	address  string
	since    time.Time
	all, own *list.Element
}

// add has a guest be silent from now on.
func (h *hush) add(g *guest, now time.Time) {
	g.quiet.end()
	own := h.of[g.address]
	if own == nil {
		if h.of == nil {
			h.of = map[string]*list.List{}
		}
		own = list.New()
		h.of[g.address] = own
	}
	g.quiet = quiet{h, g.address, now, h.all.PushBack(g), own.PushBack(g)}
}

// end takes the guest out, if it is in one.
func (q *quiet) end() {
	if q.hush == nil {
		return
	}
	q.hush.all.Remove(q.all)
	own := q.hush.of[q.address]
	if own.Remove(q.own); own.Len() == 0 {
		delete(q.hush.of, q.address)
	}
	*q = quiet{}
}

// longest returns who has been silent longest, or nil.
func (h *hush) longest() *guest { return firstIn(&h.all) }

// longestOf is longest among those of one address.
func (h *hush) longestOf(address string) *guest { return firstIn(h.of[address]) }

// count returns how many of an address are silent.
func (h *hush) count(address string) int {
	if own := h.of[address]; own != nil {
		return own.Len()
	}
	return 0
}

func firstIn(l *list.List) *guest {
	if l == nil || l.Len() == 0 {
		return nil
	}
	return l.Front().Value.(*guest)
}
