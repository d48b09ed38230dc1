/*
 * doctor.c - patient-doctor on whatever bytes there are: libFuzzer's target.
 *
 * The bytes are read as a log, as a doctor's answer and as a ledger; what
 * comes of each goes on to the end. `make fuzz` builds and runs it.
 */
#include <stdint.h>
#include <stdlib.h>

#include "doctor/claim.h"
#include "doctor/diagnosis.h"
#include "doctor/grade.h"
#include "doctor/truth.h"
#include "t/unit/doctor_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* JSON that is broken, or none, is a finding. */
static void check(json_t *answer)
{
    char *text = json_dumps(answer, JSON_COMPACT);

    if (text == NULL) {
        abort();
    }
    free(text);
    json_decref(answer);
}

static void diagnose(const uint8_t *data, size_t size, FILE *out,
                     apr_pool_t *pool)
{
    input_count_t count = { 0, 0, 0, 0 };
    page_t *page = text_page(data, size, &count, pool);
    const diagnosis_t *diagnosis = diagnosis_make(page, pool);

    check(diagnosis_json(diagnosis, &count, pool));
    diagnosis_print(diagnosis, &count, 3, out, pool);
}

static void mark(const uint8_t *data, size_t size, FILE *out,
                 apr_pool_t *pool)
{
    grade_terms_t terms = { apr_time_from_sec(10), MOMENT_NONE, MOMENT_NONE };
    apr_file_t *ledger = text_file(data, size, pool);
    apr_file_t *answer = text_file(data, size, pool);
    claims_t *claims = claims_create(pool);
    apr_array_header_t *truths;
    const char *why;

    truth_read(&truths, ledger, &why, pool);
    claims_read(claims, answer, "a file", &why, pool);
    apr_file_close(ledger);
    apr_file_close(answer);
    check(grade_json(grade_make(truths, claims, &terms, pool)));
    grade_print(grade_make(truths, claims, &terms, pool), out, pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static FILE *out;
    apr_pool_t *pool;

    if (out == NULL) {
        apr_initialize();
        out = fopen("/dev/null", "we");
    }
    apr_pool_create(&pool, NULL);
    diagnose(data, size, out, pool);
    mark(data, size, out, pool);
    apr_pool_destroy(pool);
    return 0;
}
