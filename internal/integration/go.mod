module github.com/surety-go/surety/internal/integration

go 1.26.4

require github.com/surety-go/surety v0.0.0-00010101000000-000000000000
require github.com/surety-go/surety/guard/guardgrpc v0.0.0-00010101000000-000000000000
require github.com/surety-go/surety/examples v0.0.0-00010101000000-000000000000

replace github.com/surety-go/surety => ../..
replace github.com/surety-go/surety/guard/guardgrpc => ../../guard/guardgrpc
replace github.com/surety-go/surety/examples => ../../examples
