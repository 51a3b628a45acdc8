// Package prom hands the figures of an e2e.Server, or of a single e2e.Session, to
// Prometheus. It is a module of its own, so that only those who import it have
// Prometheus' libraries among their dependencies.
//
//	registry := prometheus.NewRegistry()
//	registry.MustRegister(prom.NewCollector(server))
//	http.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
//
// These are about sessions, over all their connections:
//
//	hopseal_session_sent_messages_total             messages sent, each counted once
//	hopseal_session_received_messages_total         messages received
//	hopseal_session_sent_bytes_total                bytes in them, without padding
//	hopseal_session_received_bytes_total            bytes in those received
//	hopseal_session_refused_messages_total          messages of the other end that this end refused, see RefusedError
//	hopseal_session_turned_down_messages_total      messages of this end that the other end refused
//	hopseal_session_unacked_messages                messages sent that are not known to have arrived, now
//	hopseal_session_resent_messages_total           messages sent again over another connection
//	hopseal_session_resumes_total                   connections after the first of a session
//	hopseal_session_rekeys_total                    times that the other end has moved to keys from another exchange
//	hopseal_session_refused_records_total{reason}   records refused, see Stats.Refused
//	hopseal_session_round_trip_seconds              histogram: how long the other end took to answer
//	hopseal_identity_expiry_timestamp_seconds       when peers will refuse this end's own identity, in seconds since 1970; 0 if it was revoked
//
// And these about a server:
//
//	hopseal_sessions                                sessions open now
//	hopseal_sessions_parked                         of them, without a connection
//	hopseal_handshakes                              handshakes under way now
//	hopseal_greeted_connections_total{outcome}      connections, see ServerStats.Greeted
//	hopseal_ended_sessions_total{reason}            sessions that have ended, see ServerStats.Ended
//
// Each has at most one label, with a few fixed values. Nothing that a client chose is
// in any of them. The figures of the connections below are those of
// [github.com/hopseal/hopseal/transport/prom].
//
// Alert on refused records with the reason authentication: no network does that. Where
// resumes grow without end, something on the way cuts connections.
//
// Alert where hopseal_identity_expiry_timestamp_seconds - time() falls below 7 days: an identity
// that is kept alive, as by keystore.Store.Run, has 15 days left at least.
//
// Keep the handler on an address that only Prometheus reaches.
package prom

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hopseal/hopseal/e2e"
)

// NewCollector returns a prometheus.Collector of a server's figures. Where a process
// has several servers, register each with labels of its own, through
// prometheus.WrapRegistererWith.
func NewCollector(server *e2e.Server) prometheus.Collector { return collector{server} }

// NewSessionCollector is NewCollector for one session, as of a client that keeps one for
// as long as it runs.
func NewSessionCollector(session *e2e.Session) prometheus.Collector { return ofSession{session} }

type collector struct{ server *e2e.Server }

// Describe is described at prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

// Collect is described at prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	of := c.server.Stats()
	out := emitter{ch}
	out.session(of.Stats)
	out.gauge("hopseal_sessions", "Sessions open now.", float64(of.Sessions))
	out.gauge("hopseal_sessions_parked", "Open sessions without a connection.", float64(of.Parked))
	out.gauge("hopseal_handshakes", "Handshakes under way.", float64(of.Handshakes))
	out.labelled("hopseal_greeted_connections_total", "Connections, by what became of them.", "outcome", of.Greeted)
	out.labelled("hopseal_ended_sessions_total", "Sessions that have ended.", "reason", of.Ended)
}

type ofSession struct{ session *e2e.Session }

// Describe is described at prometheus.Collector.
func (c ofSession) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

// Collect is described at prometheus.Collector.
func (c ofSession) Collect(ch chan<- prometheus.Metric) { emitter{ch}.session(c.session.Stats()) }

// An emitter makes Prometheus' metrics of plain figures.
type emitter struct{ ch chan<- prometheus.Metric }

func (e emitter) session(of e2e.Stats) {
	e.counter("hopseal_session_sent_messages_total", "Messages sent.", of.MessagesSent)
	e.counter("hopseal_session_received_messages_total", "Messages received.", of.MessagesReceived)
	e.counter("hopseal_session_sent_bytes_total", "Bytes in messages sent, without padding.", of.BytesSent)
	e.counter("hopseal_session_received_bytes_total", "Bytes in messages received, without padding.", of.BytesReceived)
	e.counter("hopseal_session_refused_messages_total", "Messages of the other end that were refused.", of.MessagesRefused)
	e.counter("hopseal_session_turned_down_messages_total", "Messages that the other end has refused.", of.MessagesTurnedDown)
	e.gauge("hopseal_session_unacked_messages", "Messages sent that are not known to have arrived.", float64(of.Unacked))
	e.counter("hopseal_session_resent_messages_total", "Messages sent again over another connection.", of.Resent)
	e.counter("hopseal_session_resumes_total", "Connections after the first of a session.", of.Resumes)
	e.counter("hopseal_session_rekeys_total", "Moves of the other end to keys from another exchange.", of.Rekeys)
	e.labelled("hopseal_session_refused_records_total", "Records refused.", "reason", of.Refused)
	e.gauge("hopseal_identity_expiry_timestamp_seconds", "When peers will refuse this end's identity.", unix(of.IdentityExpires))
	e.histogram("hopseal_session_round_trip_seconds", "How long the other end took to answer.", of.RoundTrip)
}

// unix is 0 for the zero time.
func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.Unix())
}

func (e emitter) gauge(name, help string, n float64) {
	e.ch <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue, n)
}

func (e emitter) counter(name, help string, n uint64) {
	e.ch <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, nil, nil), prometheus.CounterValue, float64(n))
}

func (e emitter) labelled(name, help, label string, counts map[string]uint64) {
	desc := prometheus.NewDesc(name, help, []string{label}, nil)
	for value, n := range counts {
		e.ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), value)
	}
}

// histogram makes the counts cumulative, as Prometheus has them.
func (e emitter) histogram(name, help string, h e2e.Histogram) {
	buckets, count := map[float64]uint64{}, uint64(0)
	for i, bound := range h.Bounds() {
		count += h.Counts[i]
		buckets[bound.Seconds()] = count
	}
	count += h.Counts[len(h.Counts)-1]
	e.ch <- prometheus.MustNewConstHistogram(prometheus.NewDesc(name, help, nil, nil), count, h.Sum.Seconds(), buckets)
}
