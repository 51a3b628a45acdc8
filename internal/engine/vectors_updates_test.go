package engine

import (
	"slices"

	"github.com/hopseal/hopseal/internal/strict"
)

// Vectors of updates are records of one direction. Their sender is whom the vector names.

func updatesVector(sender *vectorEnd, client bool) *vector {
	v := recordsVector()
	end := &vectorEnd{Identity: sender.Identity}
	if v.Client = end; !client {
		v.Client, v.Server = nil, end
	}
	return v
}

func updateOf(values ...[]byte) []byte {
	return slices.Concat(append([][]byte{strict.AppendArray(nil, len(values))}, bins(values...)...)...)
}

func goodUpdates() (all []making) {
	add := func(name, comment string, client bool, say func(d *peerDirection)) {
		all = append(all, making{"good-records-" + name, func() *vector {
			v := updatesVector(serverEnd(), false)
			if client {
				v = updatesVector(clientEnd(), true)
			}
			v.Comment = comment
			say(v.direction())
			return v
		}})
	}
	add("update", "a client shows credentials again", true, func(d *peerDirection) {
		d.say(typeUpdate, nil, updateOf(clientEnd().Identity, []byte("another token")))
		d.say(typeData, nil, []byte("goes on meanwhile"))
	})
	add("update-later-client", "a client is another by now, and shows the longest credentials", true, func(d *peerDirection) {
		d.say(typeUpdate, nil, updateOf(statement("alice", 3), make([]byte, MaxCredentials)))
	})
	add("update-later-server", "a server is another by now", false, func(d *peerDirection) {
		d.say(typeUpdate, nil, updateOf(statement("bob", 2)))
		d.say(typeData, nil, []byte("goes on meanwhile"))
	})
	add("update-revoked", "a server tells that its identity is revoked: the receiver has to refuse it", false, func(d *peerDirection) {
		d.say(typeUpdate, nil, updateOf(statement("bob", 1<<64-1)))
	})
	add("update-accepted", "a server lets its client in for another hour", false, func(d *peerDirection) {
		d.Updating = true
		d.say(typeUpdateAnswer, []byte{0, 0, 0x36, 0xee, 0x80}, nil)
	})
	add("update-accepted-by-client", "a client accepts what its server is now", true, func(d *peerDirection) {
		d.Updating = true
		d.say(typeUpdateAnswer, []byte{0, 0, 0, 0, 0}, nil)
	})
	add("update-not-decided", "a server could not decide, and tells its own news", false, func(d *peerDirection) {
		d.Updating = true
		d.say(typeUpdate, nil, updateOf(statement("bob", 1)))
		d.say(typeUpdateAnswer, []byte{2, 0, 0, 0, 0}, nil)
	})
	return all
}

func badUpdates() (all []making) {
	add := func(name, comment string, reason Reason, client bool, say func(d *peerDirection)) {
		all = append(all, making{"bad-records-update-" + name, func() *vector {
			v := updatesVector(serverEnd(), false)
			if client {
				v = updatesVector(clientEnd(), true)
			}
			v.Comment, v.Expect = comment, reason.String()
			d := v.direction()
			d.say(typeData, nil, []byte("honest"))
			say(d)
			v.Records = v.Records[:len(v.Frames)-1]
			return v
		}})
	}
	told := func(data []byte) func(d *peerDirection) {
		return func(d *peerDirection) { d.say(typeUpdate, nil, data) }
	}
	add("of-another", "the identity is that of somebody else", ReasonUpdate, false, told(updateOf(statement("mallory", 2))))
	add("earlier", "the identity is an earlier statement of its root", ReasonUpdate, false, func(d *peerDirection) {
		d.Server.Identity = statement("bob", 2)
		d.say(typeUpdate, nil, updateOf(statement("bob", 1)))
	})
	add("identity-bit", "the identity is not signed by its root", ReasonUpdate, false, told(updateOf(flip(-1)(slices.Clone(statement("bob", 2))))))
	add("identity-none", "an empty identity", ReasonUpdate, false, told(updateOf(nil)))
	add("as-client", "a server shows credentials", ReasonUpdate, false, told(updateOf(statement("bob", 2), []byte("token"))))
	add("as-server", "a client shows none", ReasonUpdate, true, told(updateOf(statement("alice", 3))))
	add("credentials-long", "credentials of 4,097 bytes", ReasonUpdate, true, told(updateOf(statement("alice", 1), make([]byte, MaxCredentials+1))))
	add("values-more", "a byte follows the values", ReasonUpdate, false, told(append(updateOf(statement("bob", 2)), 0)))
	add("second", "a second update, before the first is answered", ReasonUpdate, false, func(d *peerDirection) {
		d.say(typeUpdate, nil, updateOf(statement("bob", 2)))
		d.say(typeUpdate, nil, updateOf(statement("bob", 3)))
	})
	answer := func(updating bool, fields ...byte) func(d *peerDirection) {
		return func(d *peerDirection) {
			d.Updating = updating
			d.say(typeUpdateAnswer, fields, nil)
		}
	}
	add("answer-to-nothing", "an answer without an update", ReasonUpdate, false, answer(false, 0, 0, 0, 0, 0))
	add("answer-twice", "a second answer", ReasonUpdate, false, func(d *peerDirection) {
		answer(true, 0, 0, 0, 0, 0)(d)
		answer(true, 0, 0, 0, 0, 0)(d)
	})
	add("answer-code-1", "a refusal, which is no answer", ReasonUpdate, false, answer(true, 1, 0, 0, 0, 0))
	add("answer-code-3", "a code that there is not", ReasonUpdate, false, answer(true, 3, 0, 0, 0, 0))
	add("answer-not-decided-with-lifetime", "a lifetime without a decision", ReasonUpdate, false, answer(true, 2, 0, 0, 0, 1))
	add("answer-of-client-with-lifetime", "a lifetime from a client", ReasonUpdate, true, answer(true, 0, 0, 0, 0, 1))
	return all
}
