#include "net/tls_stream.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cstring>

namespace sallyport::net {

// A BIO whose other side is the stream's own span and vector: no pair of buffers in between.
struct TlsStream::Bio {
    static int read(BIO* bio, char* into, std::size_t size, std::size_t* got) noexcept
    {
        auto& self = *static_cast<TlsStream*>(BIO_get_data(bio));
        BIO_clear_retry_flags(bio);
        *got = std::min(size, self.input_.size());
        if (*got == 0) {
            BIO_set_retry_read(bio);
            return 0;
        }
        std::memcpy(into, self.input_.data(), *got);
        self.input_ = self.input_.subspan(*got);
        return 1;
    }

    static int write(BIO* bio, const char* from, std::size_t size, std::size_t* written) noexcept
    {
        auto& self = *static_cast<TlsStream*>(BIO_get_data(bio));
        const auto* const octets = reinterpret_cast<const std::uint8_t*>(from);
        if (self.output_ != nullptr) self.output_->insert(self.output_->end(), octets, octets + size);
        *written = size;
        return 1;
    }

    static long control(BIO*, int command, long, void*) noexcept { return command == BIO_CTRL_FLUSH ? 1 : 0; }

    static const BIO_METHOD* method() noexcept
    {
        static const BIO_METHOD* const kMethod = [] {
            BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
            BIO_meth_set_read_ex(made, read);
            BIO_meth_set_write_ex(made, write);
            BIO_meth_set_ctrl(made, control);
            return made;
        }();
        return kMethod;
    }
};

void TlsStream::Freer::operator()(ssl_st* ssl) const noexcept { SSL_free(ssl); }

TlsStream::TlsStream(ssl_st* ssl) noexcept : ssl_(ssl)
{
    SSL_set_accept_state(ssl);
    // One wake-up's answers may be written from different buffers, and a record is always taken whole.
    SSL_set_mode(ssl, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
}

TlsStream::~TlsStream() = default;

std::unique_ptr<TlsStream> TlsStream::make(ssl_ctx_st* context) noexcept
{
    std::unique_ptr<ssl_st, Freer> ssl{SSL_new(context)};
    BIO* const bio = ssl ? BIO_new(Bio::method()) : nullptr;
    if (bio == nullptr) {
        ERR_clear_error();
        return nullptr;
    }
    SSL_set_bio(ssl.get(), bio, bio);
    std::unique_ptr<TlsStream> stream{new TlsStream{ssl.release()}};
    BIO_set_data(bio, stream.get());
    BIO_set_init(bio, 1);
    return stream;
}

TlsStream::Step TlsStream::step_for(int result) noexcept
{
    switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ: return Step::more_input;
    case SSL_ERROR_ZERO_RETURN: return Step::closed;
    default:
        broken_ = true;
        ERR_clear_error(); // the queue belongs to the thread: the next connection must find it empty
        return Step::failed;
    }
}

TlsStream::Step TlsStream::handshake(std::vector<std::uint8_t>& output) noexcept
{
    output_ = &output;
    const int result = SSL_do_handshake(ssl_.get());
    const Step step = result == 1 ? Step::done : step_for(result);
    output_ = nullptr;
    established_ = step == Step::done;
    return step;
}

TlsStream::Step TlsStream::read(base::MutableBytes into, std::size_t& got, std::vector<std::uint8_t>& output) noexcept
{
    output_ = &output;
    got = 0;
    Step step = Step::more_input;
    for (;;) {
        std::size_t now = 0;
        const int result = SSL_read_ex(ssl_.get(), into.data() + got, into.size() - got, &now);
        if (result != 1) {
            step = step_for(result);
            break;
        }
        got += now;
        if (input_.empty() && SSL_pending(ssl_.get()) == 0) break; // saves the call that would say so
    }
    output_ = nullptr;
    return step;
}

bool TlsStream::write(base::Bytes plain, std::vector<std::uint8_t>& output) noexcept
{
    if (broken_ || said_goodbye_) return false;
    output_ = &output;
    // A context may allow partial writes: then a call makes one record.
    while (!plain.empty() && !broken_) {
        std::size_t written = 0;
        const int result = SSL_write_ex(ssl_.get(), plain.data(), plain.size(), &written);
        if (result == 1)
            plain = plain.subspan(written);
        else if (step_for(result) != Step::failed)
            break; // cannot be: nothing here waits for input once the handshake is over
    }
    output_ = nullptr;
    return plain.empty();
}

void TlsStream::say_goodbye(std::vector<std::uint8_t>& output) noexcept
{
    if (broken_ || said_goodbye_ || !established_) return;
    said_goodbye_ = true;
    output_ = &output;
    if (SSL_shutdown(ssl_.get()) < 0) ERR_clear_error();
    output_ = nullptr;
}

std::string_view TlsStream::alpn() const noexcept
{
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_.get(), &name, &size);
    return {reinterpret_cast<const char*>(name), size};
}

std::string_view TlsStream::server_name() const noexcept
{
    const char* const name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
    return name == nullptr ? std::string_view{} : std::string_view{name};
}

bool TlsStream::resumed() const noexcept { return SSL_session_reused(ssl_.get()) == 1; }
ssl_st* TlsStream::native() noexcept { return ssl_.get(); }

} // namespace sallyport::net
