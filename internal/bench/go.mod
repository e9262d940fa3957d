module github.com/surety-go/surety/internal/bench

go 1.26.4

require (
	github.com/alexedwards/scs/v2 v2.9.0
	github.com/go-jose/go-jose/v4 v4.1.9
	github.com/golang-jwt/jwt/v5 v5.3.1
	github.com/sethvargo/go-limiter v0.7.1
	github.com/surety-go/surety/authn/federation v0.0.0-00010101000000-000000000000
	github.com/throttled/throttled/v2 v2.15.0
	github.com/tink-crypto/tink-go/v2 v2.4.0
	golang.org/x/time v0.16.0
)

require (
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/go-logr/logr v1.4.3 // indirect
	github.com/go-logr/stdr v1.2.2 // indirect
	github.com/hashicorp/golang-lru v0.5.4 // indirect
	go.opentelemetry.io/auto/sdk v1.2.1 // indirect
	go.opentelemetry.io/otel v1.41.0 // indirect
	go.opentelemetry.io/otel/metric v1.41.0 // indirect
	go.opentelemetry.io/otel/trace v1.41.0 // indirect
	golang.org/x/mod v0.42.0 // indirect
	golang.org/x/text v0.31.0 // indirect
	rsc.io/qr v0.2.0 // indirect
)

require (
	github.com/surety-go/surety v0.0.0-00010101000000-000000000000
	golang.org/x/crypto v0.45.0
	golang.org/x/sys v0.39.0 // indirect
	google.golang.org/protobuf v1.36.10 // indirect
)

replace github.com/surety-go/surety => ../..

replace github.com/surety-go/surety/authn/federation => ../../authn/federation

replace github.com/surety-go/surety/guard/guardgrpc => ../../guard/guardgrpc
