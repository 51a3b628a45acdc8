//go:build !js

package relay

import (
	"bytes"
	"crypto/rand"
	"slices"

	"github.com/hopseal/hopseal/transport/relay/frame"
)

// seatOverhead is more than a member takes in a list besides name and presence.
const seatOverhead = 32

// A topic is where members meet. It exists while it has members. The hub's mutex guards it.
type topic struct {
	name   string
	seats  []*seat // in the order of joining
	roster int     // bytes in the list of members
}

// A seat is one connection's membership of one topic.
type seat struct {
	Member
	topic *topic
	port  *port
}

// size returns what a seat adds to the roster.
func (s *seat) size() int { return seatOverhead + len(s.Name) + len(s.Presence) }

// request serves a client's request. It returns the ports for which p should wait before it sends
// more, see port.await.
func (h *Hub) request(p *port, r frame.Request) (crowded []*port) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch r := r.(type) {
	case frame.Join:
		code, crowded := h.join(p, r)
		if code != 0 {
			p.send(frame.Refused{Topic: r.Topic, Code: code})
		}
		return crowded
	case frame.Leave:
		if s := p.seats[r.Topic]; s != nil {
			return h.leave(s)
		}
		p.send(frame.Refused{Topic: r.Topic, Code: NotJoined})
	case frame.Publish:
		if s := p.seats[r.Topic]; s != nil {
			return s.broadcast(frame.Message{Topic: r.Topic, From: s.ID, Payload: r.Payload})
		}
		p.send(frame.Refused{Topic: r.Topic, Code: NotJoined})
	case frame.Send:
		s := p.seats[r.Topic]
		if s == nil {
			p.send(frame.Refused{Topic: r.Topic, Code: NotJoined})
			return nil
		}
		to := s.other(r.To)
		if to == nil {
			p.send(frame.Refused{Topic: r.Topic, Code: NotThere})
			return nil
		}
		return to.deliver(frame.Direct{Topic: r.Topic, From: s.ID, Payload: r.Payload}.Append(nil))
	}
	return nil
}

// join seats p, or returns why not. It also returns the crowded ports, as request does.
func (h *Hub) join(p *port, r frame.Join) (why Code, crowded []*port) {
	if code := r.Check(); code != 0 {
		return code, nil
	}
	t := h.topics[r.Topic]
	if t == nil {
		t = &topic{name: r.Topic}
	}
	s := &seat{Member: Member{Name: r.Name, Presence: bytes.Clone(r.Presence)}, topic: t, port: p}
	switch {
	case p.seats[r.Topic] != nil:
		return AlreadyJoined, nil
	case len(p.seats) == h.opts.MaxTopics:
		return TooManyTopics, nil
	case t.has(r.Name):
		return NameTaken, nil
	case len(t.seats) == h.opts.MaxMembers, t.roster+s.size() > maxRoster:
		return TopicFull, nil
	}
	p.idle.Stop()
	rand.Read(s.ID[:])
	p.send(frame.Joined{Topic: r.Topic, ID: s.ID, Members: t.members()})
	h.topics[r.Topic], p.seats[r.Topic] = t, s
	t.seats, t.roster = append(t.seats, s), t.roster+s.size()
	return 0, s.broadcast(frame.Entered{Topic: r.Topic, Member: s.Member})
}

// leave ends a membership, and returns the crowded ports, as request does.
func (h *Hub) leave(s *seat) (crowded []*port) {
	t := s.topic
	crowded = s.broadcast(frame.Left{Topic: t.name, ID: s.ID})
	delete(s.port.seats, t.name)
	t.seats, t.roster = slices.DeleteFunc(t.seats, func(other *seat) bool { return other == s }), t.roster-s.size()
	if len(t.seats) == 0 {
		delete(h.topics, t.name)
	}
	return crowded
}

func (t *topic) has(name string) bool {
	return slices.ContainsFunc(t.seats, func(s *seat) bool { return s.Name == name })
}

func (t *topic) members() []Member {
	list := make([]Member, len(t.seats))
	for i, s := range t.seats {
		list[i] = s.Member
	}
	return list
}

// broadcast sends an event to all others in the topic. They share its bytes. It returns the ports
// whose outbox is now more than half full.
func (s *seat) broadcast(e frame.Event) (crowded []*port) {
	b := e.Append(nil)
	for _, other := range s.topic.seats {
		if other != s {
			crowded = append(crowded, other.deliver(b)...)
		}
	}
	return crowded
}

// deliver sends a frame to this member. It returns the member's port if its outbox is now more than
// half full.
func (s *seat) deliver(b []byte) (crowded []*port) {
	s.port.queue(b)
	if s.port.out.drained() != nil {
		crowded = []*port{s.port}
	}
	return crowded
}

// other returns the seat of another member, or nil.
func (s *seat) other(id MemberID) *seat {
	for _, other := range s.topic.seats {
		if other.ID == id && other != s {
			return other
		}
	}
	return nil
}
