//go:build !js

package acme

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	xacme "golang.org/x/crypto/acme"
)

// accountDoesNotExist is a type of problem (RFC 8555, section 6.7).
const accountDoesNotExist = "urn:ietf:params:acme:error:accountDoesNotExist"

// An issuer gets certificates from the authority.
type issuer struct {
	opts    *Options
	account *account
	answers *answers // to its checks
}

// order gets a certificate from the authority. If the authority has forgotten the account,
// order registers it again.
func (i *issuer) order(ctx context.Context, key certKey, old *tls.Certificate) (*tls.Certificate, error) {
	for first := true; ; first = false {
		client, err := i.account.get(ctx)
		if err != nil {
			return nil, err
		}
		cert, err := i.orderFrom(ctx, client, key, old)
		var problem *xacme.Error
		if !errors.As(err, &problem) || problem.ProblemType != accountDoesNotExist {
			return cert, err
		}
		i.account.forget(ctx, client)
		if !first {
			return nil, err
		}
		i.opts.Logger.Warn("acme: the authority does not know the account any more, it is registered anew")
	}
}

func (i *issuer) orderFrom(ctx context.Context, client *xacme.Client, key certKey, old *tls.Certificate) (*tls.Certificate, error) {
	order, err := i.authorize(ctx, client, key.host)
	if err != nil {
		return nil, err
	}
	signer, request, err := requestFor(key, old)
	if err != nil {
		return nil, err
	}
	chain, _, err := client.CreateCertFromOrder(ctx, order, request, true)
	if err == nil {
		var cert *tls.Certificate
		if cert, err = pair(chain, signer); err == nil {
			err = checkFor(key, cert)
		}
		if err == nil {
			return cert, nil
		}
	}
	return nil, &orderError{step: "issuing it", err: causeOf(ctx, err), counted: true}
}

// requestFor returns a certificate request and its key. A renewal keeps the key, because
// clients may have pinned it.
func requestFor(key certKey, old *tls.Certificate) (crypto.Signer, []byte, error) {
	var signer crypto.Signer
	var err error
	if old != nil {
		signer, _ = old.PrivateKey.(crypto.Signer)
	}
	if signer == nil {
		if signer, err = key.newKey(); err != nil {
			return nil, nil, err
		}
	}
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: key.host}, DNSNames: []string{key.host}}
	if len(key.host) > 64 { // a common name is no longer (RFC 5280, appendix A)
		template.Subject = pkix.Name{}
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, template, signer)
	return signer, request, err
}

// authorize returns an order whose name is proved. Each kind of check needs its own order,
// because a failed check makes the order invalid.
func (i *issuer) authorize(ctx context.Context, client *xacme.Client, host string) (*xacme.Order, error) {
	var failed []error
	for _, kind := range i.answers.kinds(i.opts.Challenge) {
		order, err := client.AuthorizeOrder(ctx, xacme.DomainIDs(host))
		if err != nil {
			return nil, &orderError{step: "the order", err: failures(append(failed, causeOf(ctx, err))), counted: len(failed) > 0}
		}
		if order.Status != xacme.StatusReady {
			order, err = i.proveName(ctx, client, host, kind, order)
		}
		if err == nil {
			return order, nil
		}
		failed = append(failed, fmt.Errorf("%s: %w", kind, causeOf(ctx, err)))
		if ctx.Err() != nil {
			break
		}
	}
	return nil, &orderError{step: "its check of the name", err: failures(failed), counted: true}
}

// proveName lets the authority check the name.
func (i *issuer) proveName(ctx context.Context, client *xacme.Client, host, kind string, order *xacme.Order) (*xacme.Order, error) {
	for _, url := range order.AuthzURLs {
		z, err := client.GetAuthorization(ctx, url)
		if err != nil {
			return nil, err
		}
		if z.Status != xacme.StatusPending {
			continue
		}
		if err := i.answerChallenge(ctx, client, host, kind, z); err != nil {
			i.deactivate(ctx, client, url)
			return nil, err
		}
		i.answers.setLastPassed(kind)
	}
	return client.WaitOrder(ctx, order.URI)
}

// answerChallenge answers one check and waits for its result.
func (i *issuer) answerChallenge(ctx context.Context, client *xacme.Client, host, kind string, z *xacme.Authorization) error {
	n := slices.IndexFunc(z.Challenges, func(c *xacme.Challenge) bool { return c.Type == kind })
	if n < 0 {
		var offered []string
		for _, c := range z.Challenges {
			offered = append(offered, c.Type)
		}
		return errors.New("the authority checks this name only by " + strings.Join(offered, ", "))
	}
	clean, err := i.answers.prepare(ctx, client, host, z.Challenges[n])
	if err != nil {
		return err
	}
	defer cleanUp(ctx, clean)
	if _, err := client.Accept(ctx, z.Challenges[n]); err != nil {
		return err
	}
	_, err = client.WaitAuthorization(ctx, z.URI)
	return err
}

// deactivate gives up a pending authorization, because the authority limits how many an
// account may have.
func (i *issuer) deactivate(ctx context.Context, client *xacme.Client, url string) {
	cleanUp(ctx, func(ctx context.Context) {
		if z, err := client.GetAuthorization(ctx, url); err == nil && z.Status == xacme.StatusPending {
			client.RevokeAuthorization(ctx, url)
		}
	})
}

// cleanupTime bounds the cleaning up after an order, however the order ended.
const cleanupTime = 5 * time.Second

// cleanUp runs call for at most cleanupTime, even if ctx has ended.
func cleanUp(ctx context.Context, call func(context.Context)) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	call(ctx)
}

// causeOf returns the cause of the context's end if err is that end, else err.
func causeOf(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return context.Cause(ctx)
	}
	return err
}
