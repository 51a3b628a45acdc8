//go:build !js

package transport

import "time"

// A Metric is one figure of a Gate, with name and unit as Prometheus wants them. Package
// transport/prom hands them to Prometheus.
type Metric struct {
	Name    string
	Help    string
	Counter bool // it only grows; otherwise it goes up and down

	Label, Value string // one label with one of a few values, or ""

	Number float64
}

// Metrics returns the Gate's figures, always the same ones and in the same order:
//
//	hopseal_connections                         connections open now
//	hopseal_connections_limit                   MaxConns, 0 if there is no limit
//	hopseal_ready                               1 if Ready says yes, else 0
//	hopseal_connections_accepted_total          connections opened
//	hopseal_connections_refused_total{reason}   clients that got none, see ConnEvent.Outcome
//	hopseal_connections_ended_total{outcome}    connections that have ended, see ConnEvent.Outcome
//	hopseal_connection_seconds_total            how long those that have ended took in all
//	hopseal_received_bytes_total                bytes from clients, with framing
//	hopseal_sent_bytes_total                    bytes to clients
//	hopseal_received_messages_total             messages from clients
//	hopseal_sent_messages_total                 messages to clients
//	hopseal_pauses_total                        times that a connection was slowed down
//	hopseal_connection_events_missed_total      events that Notify was too slow for
//
// It looks at every open connection: that is for once in some seconds.
func (g *Gate) Metrics() []Metric {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.totals
	for m := range g.open {
		t.add(&m.traffic)
	}
	gauge := func(name, help string, n float64) Metric { return Metric{Name: name, Help: help, Number: n} }
	counter := func(name, help string, n float64) Metric {
		return Metric{Name: name, Help: help, Counter: true, Number: n}
	}
	all := []Metric{
		gauge("hopseal_connections", "Connections open now.", float64(len(g.open))),
		gauge("hopseal_connections_limit", "Connections that may be open at a time, 0 for no limit.", float64(max(g.opts.MaxConns, 0))),
		gauge("hopseal_ready", "Whether new connections are welcome.", toNumber(!g.unready)),
		counter("hopseal_connections_accepted_total", "Connections opened.", float64(t.accepted)),
	}
	labelled := func(name, help, label string, of []outcome) {
		for _, o := range of {
			m := counter(name, help, float64(t.ended[o]))
			m.Label, m.Value = label, string(o)
			all = append(all, m)
		}
	}
	labelled("hopseal_connections_refused_total", "Clients that got no connection.", "reason", refusals)
	labelled("hopseal_connections_ended_total", "Connections that have ended.", "outcome", endings)
	return append(all,
		counter("hopseal_connection_seconds_total", "How long the connections that have ended took, in all.", t.lasted.Seconds()),
		counter("hopseal_received_bytes_total", "Bytes from clients, with framing.", float64(t.bytesIn)),
		counter("hopseal_sent_bytes_total", "Bytes to clients, with framing.", float64(t.bytesOut)),
		counter("hopseal_received_messages_total", "Messages from clients.", float64(t.messagesIn)),
		counter("hopseal_sent_messages_total", "Messages to clients.", float64(t.messagesOut)),
		counter("hopseal_pauses_total", "Times that a connection was slowed down.", float64(g.pauses.Load())),
		counter("hopseal_connection_events_missed_total", "Events that Notify was too slow for.", float64(t.missed)),
	)
}

func toNumber(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// totals counts over all connections that have ended.
type totals struct {
	accepted uint64             // includes open connections
	ended    map[outcome]uint64 // includes clients that got no connection
	lasted   time.Duration
	missed   uint64 // events

	bytesIn, bytesOut, messagesIn, messagesOut int64
}

func (t *totals) add(of *traffic) {
	t.bytesIn += of.bytesIn.Load()
	t.bytesOut += of.bytesOut.Load()
	t.messagesIn += of.messagesIn.Load()
	t.messagesOut += of.messagesOut.Load()
}
