//go:build !js

package acme

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

const (
	// maxAnswer bounds an answer of the authority, in bytes. The longest are chains.
	maxAnswer = 1 << 20

	// maxPoll is the longest time between two questions whether an order is done.
	maxPoll = 15 * time.Second

	// maxRetryAfter bounds what an authority may ask for.
	maxRetryAfter = 24 * time.Hour
)

// A sober transport holds an authority to what orders need: package acme of
// golang.org/x/crypto reads answers to their end, and waits for as long as the authority
// says, which for an order under way is a day at some.
type sober struct{ http.RoundTripper }

// RoundTrip is described at http.RoundTripper.
func (s sober) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := s.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answer.Body = &bounded{answer.Body, maxAnswer}
	if answer.StatusCode < http.StatusMultipleChoices && parseRetryAfter(answer.Header) > maxPoll {
		answer.Header.Set("Retry-After", strconv.Itoa(int(maxPoll/time.Second)))
	}
	return answer, nil
}

// A bounded body is one that ends with an error where it is too long.
type bounded struct {
	io.ReadCloser
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// parseRetryAfter returns 0 where there is none (RFC 9110, section 10.2.3).
func parseRetryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil && seconds > 0 {
		return time.Duration(min(seconds, int(maxRetryAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(time.Until(at), 0), maxRetryAfter)
	}
	return 0
}
