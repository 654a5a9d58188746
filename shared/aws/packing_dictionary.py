"""What packing takes for granted: text that mail and our own documents are full of.

A small item has hardly room to repeat itself, so what nearly every mail has would be paid for in
each. What is likeliest stands last, where it is cheapest to point to. **Never changed**: what was
packed with it could not be read again. A better one is another form (see `packing`).
"""

DICTIONARY = rb"""
Best regards,\nKind regards,\nSincerely,\nThank you\nCordialement,\n
Mit freundlichen Gr
unsubscribe\n-----Original Message-----\nFrom: \nSent: \nTo: \nCc: \nSubject: \n> On  wrote:\n>
<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Transitional//EN\"
 \"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd\">
<html xmlns:o=\"urn:schemas-microsoft-com:office:office\"
 xmlns:w=\"urn:schemas-microsoft-com:office:word\" xmlns=\"http://www.w3.org/1999/xhtml\">
<div dir=\"ltr\" class=\"gmail_attr\"><br></div><div class=\"gmail_quote\"><blockquote type=\"cite\"
 class=\"gmail_quote\" style=\"margin:0px 0px 0px 0.8ex;border-left:1px solid
 rgb(204,204,204);padding-left:1ex\">
<p class=\"MsoNormal\"><span style=\"font-size:11.0pt;font-family:&quot;Calibri&quot;,sans-serif;
color:black;mso-fareast-language:EN-US\"><o:p>&nbsp;</o:p></span></p>
<html><head><meta http-equiv=\"Content-Type\" content=\"text/html; charset=utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1.0\">
<style type=\"text/css\"></style></head><body>
<table width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\" align=\"center\"
 style=\"border-collapse:collapse;\"><tbody><tr><td style=\"padding:10px 20px;
font-family:Arial,Helvetica,sans-serif;font-size:14px;line-height:20px;font-weight:bold;
color:#333333;background-color:#ffffff;text-align:left;vertical-align:top\">
<img src=\"https://\" width=\"600\" height=\"1\" alt=\"\" style=\"display:block;\">
<a href=\"https://www.\" target=\"_blank\" style=\"color:#0000ee;text-decoration:none\"></a>
</span></div><br></td></tr></tbody></table></body></html>\r\n
"h":{"list-unsubscribe":"<https://>","list-id":"<","precedence":"bulk","auto-submitted":
"auto-generated","return-path":"<","importance":"high","reply-to":"<"},
"a":[["image001.png","image/png",0,true,"",null],["offer.pdf","application/pdf",0,false,null,"
"m":"@mail.gmail.com","y":"@eurprd.prod.outlook.com","r":["@"],
"p":[["from","@gmail.com",""],["to","@",""],["cc","@",""],["reply_to","@",""]],"b":["\n\n","
{"v":1,"i":"m","t":"t","s":"Re: ","d":"outbound","d":"inbound","w":17,"n":"
""".replace(b"\n", b"")
