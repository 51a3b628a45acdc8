package lobby

import (
	"container/list"
	"time"
)

// silent holds the guests whose turn it is to send, ordered by how long they have been silent.
type silent struct {
	all       list.List // of *Guest; the one that has been silent longest first
	byAddress map[string]*list.List
}

// A silence is a guest's entry in a silent.
type silence struct {
	in       *silent // nil if the guest is in none
	address  string
	since    time.Time
	all, own *list.Element
}

// add adds a guest, which is silent from now on.
func (s *silent) add(g *Guest, now time.Time) {
	g.silence.end()
	own := s.byAddress[g.address]
	if own == nil {
		if s.byAddress == nil {
			s.byAddress = map[string]*list.List{}
		}
		own = list.New()
		s.byAddress[g.address] = own
	}
	g.silence = silence{s, g.address, now, s.all.PushBack(g), own.PushBack(g)}
}

// end removes the guest, if it is in a silent.
func (q *silence) end() {
	if q.in == nil {
		return
	}
	q.in.all.Remove(q.all)
	own := q.in.byAddress[q.address]
	if own.Remove(q.own); own.Len() == 0 {
		delete(q.in.byAddress, q.address)
	}
	*q = silence{}
}

// longest returns the guest that has been silent longest, or nil.
func (s *silent) longest() *Guest { return first(&s.all) }

// longestOf is longest among the guests of one address.
func (s *silent) longestOf(address string) *Guest { return first(s.byAddress[address]) }

// count returns how many guests of an address are silent.
func (s *silent) count(address string) int {
	if own := s.byAddress[address]; own != nil {
		return own.Len()
	}
	return 0
}

func first(l *list.List) *Guest {
	if l == nil || l.Len() == 0 {
		return nil
	}
	return l.Front().Value.(*Guest)
}
