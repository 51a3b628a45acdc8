// Package relay passes messages between clients that cannot reach each other: a
// hub with topics, on which members publish, send to each other, and see who is
// present. Package peer makes sessions between two members of that.
//
// The hub is one http.Handler, and a client three calls:
//
//	http.Handle("/relay", relay.New(relay.Options{})) // behind TLS, see Options.Accept
//
//	client, err := relay.Dial(ctx, "wss://example.com/relay", nil)
//	joined, err := client.Join(ctx, "room", "ann", presence) // joined.Members were there before
//	err = client.Publish(ctx, "room", sealed)
//	event, err := client.Next(ctx)                           // Entered, Left, Message, Direct
//
// # Nobody has to trust a relay
//
// That also means: nobody may. A relay reads topics, names, who is present, who
// publishes or sends to whom, when and how much; it can drop, change, repeat, reorder and invent
// members and messages, and it can hand one member's presence to another. It
// never looks into presence and payload, which is what a client seals: see package
// envelope, and package frame for the very bytes. Names are unique in a topic
// among those whom the hub lets in, and prove nothing.
//
// Whoever can connect can join any topic whose name they know.
//
// # Bounds
//
// Everything that a client can make the hub keep is bounded by [Options]: whoever
// publishes faster than the others read is slowed down, and a member that does not
// drain what it is sent is cut off, and learns that from the end of its
// connection. Nobody is slowed down for long by one who hardly reads, however often
// that one joins again: see MaxStall in [Options]. The hub stores nothing: who is not there misses it.
//
// The hub is not part of js/wasm builds; the client is.
package relay

import (
	"fmt"

	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/transport/relay/frame"
)

// What clients and hubs say to each other, see package frame.
type (
	MemberID = frame.MemberID // names one stay of one client in one topic
	Member   = frame.Member   // somebody of whom the relay says that they are in a topic
	Code     = frame.Code     // why a relay refused

	Event   = frame.Event   // one of the following
	Joined  = frame.Joined  // answers a Join that was given up before the answer came
	Refused = frame.Refused // a Publish, Send or Leave was refused
	Entered = frame.Entered // somebody joined
	Left    = frame.Left    // somebody left
	Message = frame.Message // somebody published
	Direct  = frame.Direct  // somebody sent to this client alone
)

// The reasons why a relay refuses, see [RefusedError].
const (
	NameTaken     = frame.NameTaken
	TopicFull     = frame.TopicFull
	TooLarge      = frame.TooLarge
	BadName       = frame.BadName
	BadTopic      = frame.BadTopic
	TooManyTopics = frame.TooManyTopics
	AlreadyJoined = frame.AlreadyJoined
	NotJoined     = frame.NotJoined
	NotThere      = frame.NotThere
)

// A RefusedError is a relay's answer to a Join that it did not accept. The connection is still
// good.
type RefusedError struct {
	Topic string
	Code  Code
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("relay: cannot join %s: %v", safetext.Quote(e.Topic, frame.MaxTopic), e.Code)
}
