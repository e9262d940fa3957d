package verify_test

import (
	"context"
	"fmt"
	"log"

	"github.com/surety-go/surety/auditlog/verify"
)

func Example() {
	policy := verify.Policy{
		Key:       "example.org/audit+aac1f2b4+AfWNHDSBrfEZp+Ng2r8nQUVCIMvWSDuoUUS1DNGX6T6L",         // from the operator, when the log began
		Witnesses: []string{"witness.example+259821e5+BMBTrpBo0fJCuuGD09pguku76hBsrvNxgLZunhO+l2Pf"}, // from the witness
	}
	report, err := verify.Dir(context.Background(), "evidence/log", policy, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Verdict())
	for _, finding := range report.Findings {
		fmt.Println(finding)
	}
}
