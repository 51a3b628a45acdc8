// Package relay passes messages between clients that cannot reach each other. Its hub has
// topics: the members of a topic publish messages, send to each other, and see who is
// present. A service runs the hub with [New], and a client connects with [Dial]:
//
//	http.Handle("/relay", relay.New(relay.Options{})) // behind TLS, see Options.Accept
//
//	client, err := relay.Dial(ctx, "wss://example.com/relay", nil)
//	joined, err := client.Join(ctx, "room", "ann", presence) // joined.Members were there before
//	err = client.Publish(ctx, "room", sealed)
//	event, err := client.Next(ctx)                           // Entered, Left, Message, Direct
//
// Package peer makes sessions between two members of a topic.
//
// # Nobody has to trust a relay
//
// Clients must not trust it either. A relay reads topics and names, and sees who is
// present, who publishes or sends to whom, when and how much. It can drop, change, repeat,
// reorder and invent members and messages, and pass one member's presence off as
// another's. So clients seal presence and payload, which a hub never looks into: see
// package envelope, and package frame for the exact bytes. The hub keeps names unique in
// a topic, but a name proves nothing.
//
// Whoever can connect can join any topic whose name they know.
//
// # Bounds
//
// [Options] bound everything that a client can make the hub keep. The hub slows down a
// member that publishes faster than the others read. It cuts off a member that does not
// read what it is sent, and that member learns it from the end of its connection. A
// member that hardly reads cannot slow the others down for long, however often it joins
// again: see MaxStall in [Options]. The hub stores no messages: a client that is not
// connected misses them.
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
