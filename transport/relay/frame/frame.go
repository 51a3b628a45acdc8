// Package frame is the protocol between a relay and its clients: ten kinds of frame, each
// of them one message of the transport. Append writes one, and a Parse function reads it:
//
//	b := frame.Join{Topic: "room", Name: "ann"}.Append(nil)
//	request, err := frame.ParseRequest(b) // a relay; a client calls ParseEvent
//
// A frame is an array of package strict (MessagePack with one accepted encoding) that
// starts with the number of its kind. A client sends requests:
//
//	1 join      topic, name, presence      be a member of a topic, under a name
//	2 leave     topic
//	3 publish   topic, payload             to every other member of the topic
//	9 send      topic, to, payload         to the one member with that id
//
// and a relay sends events:
//
//	4 joined    topic, id, members         answers join: the client's own id, and who is present
//	5 refused   topic, code                answers join, leave, publish or send
//	6 entered   topic, id, name, presence  another member joined
//	7 left      topic, id                  another member left or lost its connection
//	8 message   topic, id, payload         another member published
//	10 direct   topic, id, payload         another member sent to this member alone
//
// Topics and names are text, ids are 16 bytes, codes are integers, and members are a list
// of [id, name, presence]. Presence and payload are bytes that a relay carries and does
// not look into. But a relay can read all of a frame, and sees sizes and times: seal
// presence and payload, and choose topics and names that a relay may read.
//
// Nothing here proves who a member is: a relay can invent, rename, swap and repeat
// members and messages.
//
// The package does no I/O and is small enough for a web page.
package frame

import (
	"encoding/hex"
	"strconv"
	"unicode/utf8"

	"github.com/hopseal/hopseal/internal/strict"
)

// What a relay takes, in bytes.
const (
	MaxTopic    = 128     // of UTF-8, at least 1
	MaxName     = 64      // of UTF-8, at least 1
	MaxPresence = 8 << 10 // may be empty
)

// maxText bounds a topic or name in a frame. It is more than a relay accepts, so that the relay can
// answer which of them is wrong.
const maxText = 1 << 10

// ErrMalformed is returned for bytes that are not a frame, whatever is wrong.
var ErrMalformed = strict.ErrMalformed

// A MemberID identifies one stay of one client in one topic: 16 random bytes, chosen by the relay.
type MemberID [16]byte

// String returns 32 hex digits.
func (id MemberID) String() string { return hex.EncodeToString(id[:]) }

// A Member is somebody who is in a topic, according to the relay.
type Member struct {
	ID       MemberID
	Name     string // foreign text: escape it before showing it
	Presence []byte
}

// A Code says why a relay refused a request.
type Code uint8

const (
	NameTaken     Code = 1 // another member of the topic has that name
	TopicFull     Code = 2 // the topic has as many members, or as much presence, as it may
	TooLarge      Code = 3 // the presence is longer than MaxPresence
	BadName       Code = 4 // the name is empty, longer than MaxName, or not UTF-8
	BadTopic      Code = 5 // the topic is empty, longer than MaxTopic, or not UTF-8
	TooManyTopics Code = 6 // this connection is in as many topics as it may
	AlreadyJoined Code = 7 // this connection is in that topic already
	NotJoined     Code = 8 // this connection is not in that topic
	NotThere      Code = 9 // nobody else in that topic has that id
)

var codeTexts = map[Code]string{
	NameTaken:     "the name is taken there, choose another",
	TopicFull:     "the topic is full",
	TooLarge:      "the presence is too large, " + strconv.Itoa(MaxPresence) + " bytes at most",
	BadName:       "a name has 1 to " + strconv.Itoa(MaxName) + " bytes of UTF-8",
	BadTopic:      "a topic has 1 to " + strconv.Itoa(MaxTopic) + " bytes of UTF-8",
	TooManyTopics: "this connection is in too many topics",
	AlreadyJoined: "this connection is in that topic already",
	NotJoined:     "this connection is not in that topic",
	NotThere:      "that member is not there any more",
}

// String says what the code means and, where it helps, what to do.
func (c Code) String() string {
	if text, ok := codeTexts[c]; ok {
		return text
	}
	return "code " + strconv.Itoa(int(c))
}

// Check returns why every relay would refuse the request, or 0.
func (j Join) Check() Code {
	switch {
	case !isText(j.Topic, MaxTopic):
		return BadTopic
	case !isText(j.Name, MaxName):
		return BadName
	case len(j.Presence) > MaxPresence:
		return TooLarge
	}
	return 0
}

func isText(s string, most int) bool {
	return s != "" && len(s) <= most && utf8.ValidString(s)
}
