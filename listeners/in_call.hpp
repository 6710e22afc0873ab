#pragma once

namespace sallyport::listeners {

/// True for the scope's length: an event is being handled, and what is written meanwhile leaves at its end.
class InCall {
public:
    explicit InCall(bool& flag) noexcept : flag_(flag) { flag_ = true; }
    ~InCall() { flag_ = false; }
    InCall(const InCall&) = delete;
    InCall& operator=(const InCall&) = delete;

private:
    bool& flag_;
};

} // namespace sallyport::listeners
