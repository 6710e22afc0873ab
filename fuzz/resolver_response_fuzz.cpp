// fuzz: links sallyport_resolver
#include "resolver/upstream_query.hpp"

#include <cstdlib>
#include <vector>

using namespace sallyport;

/// What fits a query is an answer to that very question; cookies that are taken begin with ours.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static base::SystemRandom random;
    resolver::Inquiry inquiry;
    inquiry.qname = *wire::Name::from_text("www.example.");
    inquiry.qtype = wire::RrType::A;
    resolver::QueryForm form;
    form.id = 0x1234;
    form.spelled = *wire::Name::from_text("wWw.exAmple.");
    const auto view = wire::MessageView::parse({data, size});
    if (!view) return 0;
    const resolver::Fit fit = resolver::fit(*view, inquiry, form);
    if (fit != resolver::Fit::foreign) {
        if (view->id() != form.id || !view->header().has(wire::flag::QR)) std::abort();
        const bool bare = view->header().question_count == 0;
        if (!bare && (view->qname().to_name() != form.spelled || view->qtype() != inquiry.qtype)) std::abort();
        if (bare && view->header().rcode() == wire::Rcode::NOERROR) std::abort();
    }
    resolver::CookieJar jar;
    const base::Bytes ours = jar.option(random);
    const std::vector<std::uint8_t> client(ours.begin(), ours.end());
    (void)jar.judge(view->edns(), size % 2 == 0);
    const base::Bytes after = jar.option(random);
    if (after.size() > 40 || after.size() < 8 || !base::equal(after.first(8), client)) std::abort();
    return 0;
}
