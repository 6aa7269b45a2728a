

2.0�����
a1*�
�������*1**0020
8R�
3
-Market stop moved 80 m east during road worksen
|
vसड़क कार्य के दौरान बाज़ार स्टॉप 80 मीटर पूर्वhiQ
a2*K*"
1-5202511038R4
2
0The 08:40 bus to the hospital does not run today