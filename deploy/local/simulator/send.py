"""`single_send` and `voice/send`, as yunpian.com documents them (domestic_single_send, voicecode_list)."""

from deploy.local.simulator.account import Account
from deploy.local.simulator.endpoint import Form, YunpianEndpoint
from deploy.local.simulator.messages import Json, Sent


class SingleSend(YunpianEndpoint):
    """`POST /v2/sms/single_send.json`: one text."""

    name = "single_send"

    def perform(self, account: Account, form: Form) -> Json:
        """Send a text."""
        sent = account.send_text(form.get("mobile", ""), form.get("text", ""), form.get("uid"))
        self.parts.keep(account, sent, form.get("callback_url", ""))
        return text_answer(sent)


class VoiceSend(YunpianEndpoint):
    """`POST /v2/voice/send.json`: a call that reads a code out."""

    name = "voice_send"

    def perform(self, account: Account, form: Form) -> Json:
        """Call a number."""
        sent = account.send_voice(form.get("mobile", ""), form.get("code", ""), form.get("uid"))
        self.parts.keep(account, sent, form.get("callback_url", ""))
        return {"count": 1, "fee": 1, "sid": sent.sid}


def text_answer(sent: Sent) -> Json:
    """Return the answer of an accepted `single_send`."""
    return {
        "code": 0,
        "msg": "发送成功",
        "count": sent.parts,
        "fee": sent.fee,
        "unit": "RMB",
        "mobile": sent.mobile,
        "sid": sent.sid,
    }
